metadata description = 'The dead-man alert: nothing has arrived from the scheduler. `generate azure` makes the others of the jobs.'

param name string
param location string
param tags object
param insightsId string
param actionGroupId string

// A count without `by` has a row even if there is nothing to count.
var query = '''
customMetrics
| where timestamp > ago(15m)
| where name == "scheduler.watchdog.tick_gap"
| summarize Received = count(), Latest = max(timestamp)
| where Received == 0
'''

resource noTicks 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${name}-no-ticks'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${name}: no ticks'
    description: 'Nothing has arrived from the scheduler for 15 minutes: it does not run, or its telemetry is blocked.'
    enabled: true
    severity: 0
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [actionGroupId]
    }
  }
}
