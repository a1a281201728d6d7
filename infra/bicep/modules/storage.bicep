metadata description = 'The storage account, without keys: history in tables, tickets in queues, files of jobs in a container.'

param name string
param location string
param tags object
param private bool
param zoneRedundant bool

@description('Where diagnostics go; empty: nowhere.')
param workspaceId string

@description('Refuse the deletion of the resource.')
param locked bool

@description('Prefixes of the queues of production and of the staging slot: the setting storage.prefix. Empty: no queues.')
param prefixes array

@description('Days for which deleted blobs and containers can be restored.')
param restorableDays int = 14

@description('Days for which former versions of blobs are retained.')
param versionDays int = 30

@description('Days for which logs are retained that Azure writes into the account.')
param logDays int

@description('Days for which a backup cannot be changed or deleted; 0: no container for backups.')
param backupDays int

@description('Whether the policy of the container for backups is locked, so that it cannot be written.')
param backupsLocked bool

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

// Backups cannot be changed or deleted until their time has passed. To lock the policy for good: docs/infrastructure.md.
resource backups 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = if (backupDays > 0) {
  parent: blobs
  name: 'backups'
  properties: {
    publicAccess: 'None'
    immutableStorageWithVersioning: {
      enabled: true
    }
  }
}

resource backupPolicy 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = if (backupDays > 0 && !backupsLocked) {
  parent: backups
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: backupDays
  }
}

var expiries = concat([
  {
    name: 'versions'
    blobTypes: ['blockBlob', 'appendBlob']
    prefixes: []
    actions: {
      version: {
        delete: {
          daysAfterCreationGreaterThan: versionDays
        }
      }
    }
  }
  {
    name: 'logs'
    blobTypes: ['blockBlob', 'appendBlob']
    prefixes: ['insights-logs-', 'insights-metrics-']
    actions: {
      baseBlob: {
        delete: {
          daysAfterModificationGreaterThan: logDays
        }
      }
    }
  }
], backupDays > 0 ? [
  {
    name: 'backups'
    blobTypes: ['blockBlob']
    prefixes: ['backups/']
    actions: {
      baseBlob: {
        delete: {
          daysAfterModificationGreaterThan: backupDays
        }
      }
    }
  }
] : [])

resource expiry 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [for rule in expiries: {
        name: rule.name
        enabled: true
        type: 'Lifecycle'
        definition: {
          filters: {
            blobTypes: rule.blobTypes
            prefixMatch: empty(rule.prefixes) ? null : rule.prefixes
          }
          actions: rule.actions
        }
      }]
    }
  }
  dependsOn: [blobs] // versions exist
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
resource accountDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
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

resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
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

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  name: 'keep'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'It has data that no deployment restores.'
  }
}

output id string = account.id
output name string = account.name
