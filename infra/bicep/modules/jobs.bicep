metadata description = 'Container Apps jobs with the program and its identity: one runs any command, one makes backups on a schedule.'

param name string
param location string
param tags object
param environmentId string
param image string
param registryServer string
param identityId string
param cpu string
param memory string

@description('The variables of the program.')
param variables object

@description('When backups are made: a cron expression in UTC.')
param backupSchedule string

@description('Where backups go: azure://CONTAINER/FOLDER, or the address of a container of another account.')
param backupTarget string

@description('Where the backup reports its end, without the token of the heartbeat; empty: nowhere.')
param pingUrl string

param vaultUrl string

@description('Of the pipeline, which gives the jobs each new image; empty: none.')
param deployerPrincipalId string

var jobsContributor = '4e3d2b60-56ae-4dc6-a233-09c8e5a82e68' // Container Apps Jobs Contributor
var tokenSecret = 'backup-token' // the name in the vault, too: infra/jobs/backup.yaml
var ping = [
  {
    name: 'BACKUP_PING'
    value: pingUrl
  }
  {
    name: 'BACKUP_PING_TOKEN'
    secretRef: tokenSecret
  }
]
var settings = [for variable in items(variables): {
  name: variable.key
  value: variable.value
}]
var once = {
  parallelism: 1
  replicaCompletionCount: 1
}
var jobs = [
  {
    name: 'command'
    args: ['store', 'check'] // another command: docs/infrastructure.md
    reports: false
    trigger: {
      triggerType: 'Manual'
      manualTriggerConfig: once
      replicaRetryLimit: 0
    }
  }
  {
    name: 'backup'
    args: ['backup', 'create', '--to', backupTarget]
    reports: !empty(pingUrl)
    trigger: {
      triggerType: 'Schedule'
      scheduleTriggerConfig: union(once, { cronExpression: backupSchedule })
      replicaRetryLimit: 1
    }
  }
]

resource containerJobs 'Microsoft.App/jobs@2025-07-01' = [for job in jobs: {
  name: '${name}-${job.name}'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: union(job.trigger, {
      replicaTimeout: 14400
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: job.reports ? [
        {
          name: tokenSecret
          keyVaultUrl: '${vaultUrl}/secrets/${tokenSecret}'
          identity: identityId
        }
      ] : []
    })
    template: {
      containers: [
        {
          name: 'scheduler'
          image: image
          command: ['python3', '-m', 'scheduler']
          args: job.args
          env: concat(settings, job.reports ? ping : [])
          resources: {
            cpu: json(cpu)
            memory: memory
          }
        }
      ]
    }
  }
}]

resource deployer 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (job, i) in jobs: if (!empty(deployerPrincipalId)) {
  name: guid(resourceGroup().id, name, job.name, deployerPrincipalId, jobsContributor)
  scope: containerJobs[i]
  properties: {
    principalId: deployerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', jobsContributor)
  }
}]
