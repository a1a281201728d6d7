metadata description = 'The storage account, without keys: history in tables, tickets in queues, files of jobs in a container.'

param name string
param location string
param tags object
param private bool
param zoneRedundant bool
param workspaceId string

@description('Prefixes of the queues of production and of the staging slot: the setting storage.prefix.')
param prefixes array = ['scheduler', 'staging']

@description('Days for which deleted blobs and containers can be restored.')
param restorableDays int = 14

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_35: Without a virtual network, no rule can name the address of the app; privateNetworking denies by default.
  // checkov:skip=CKV_AZURE_206: zoneRedundant selects ZRS. A copy in another region would be stale while both regions run the same jobs.
  // checkov:skip=CKV_AZURE_43: The name is made of letters and digits by uniqueString.
  name: name
  location: location
  tags: tags
  sku: {
    name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
  }
  kind: 'StorageV2'
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: private ? 'Deny' : 'Allow'
    }
    sasPolicy: {
      sasExpirationPeriod: '0.01:00:00'
      expirationAction: 'Block'
    }
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: {
        blob: {
          enabled: true
          keyType: 'Account'
        }
        queue: {
          enabled: true
          keyType: 'Account'
        }
        table: {
          enabled: true
          keyType: 'Account'
        }
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: {
      enabled: true
      days: restorableDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: restorableDays
    }
  }
}

// Job files, where SCHEDULER_JOBS_CONTAINER names this container. The host creates containers of its own.
resource jobFiles 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'jobs'
  properties: {
    publicAccess: 'None'
  }
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [for prefix in prefixes: {
  parent: queueService
  name: '${prefix}-runs'
}]

resource poisonQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [for prefix in prefixes: {
  parent: queueService
  name: '${prefix}-runs-poison'
}]

// The program creates its tables when it starts: a new version can have further ones.
resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

// Metrics, and who deleted blobs. Not each read and write: they are some hundred a second, and would cost more than storage.
resource accountDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'Transaction'
        enabled: true
      }
    ]
  }
}

resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output name string = account.name
