metadata description = 'Application Insights in a workspace with a daily cap, without keys, and who is notified.'

param name string
param location string
param tags object
param retentionDays int
param dailyCapGb int
param alertEmails array

@description('The workspace for diagnostics; empty: the one of this module. `none`: nowhere.')
param diagnosticsWorkspaceId string

@description('Refuse telemetry from public networks: a private link carries it.')
param privateIngestion bool

var publicIngestion = privateIngestion ? 'Disabled' : 'Enabled'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: 'log-${name}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    publicNetworkAccessForIngestion: publicIngestion
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${name}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    publicNetworkAccessForIngestion: publicIngestion
    DisableLocalAuth: true // only Monitoring Metrics Publisher may send
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'scheduler'
    emailReceivers: [for (email, i) in alertEmails: {
      name: 'email-${i}'
      emailAddress: email
      useCommonAlertSchema: true
    }]
  }
}

output diagnosticsWorkspaceId string = empty(diagnosticsWorkspaceId) ? workspace.id : diagnosticsWorkspaceId == 'none' ? '' : diagnosticsWorkspaceId
output workspaceId string = workspace.id
output insightsId string = insights.id
output insightsName string = insights.name
output connectionString string = insights.properties.ConnectionString
output actionGroupId string = actionGroup.id
