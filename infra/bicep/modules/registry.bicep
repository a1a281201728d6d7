metadata description = 'The registry of images, without an admin user.'

param name string
param location string
param tags object
param private bool
param zoneRedundant bool

@description('Where diagnostics go; empty: nowhere.')
param workspaceId string

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  // checkov:skip=CKV_AZURE_139: privateNetworking disables public access; agents of the pipeline push from other networks.
  // checkov:skip=CKV_AZURE_163: The pipeline scans images before it pushes them; Defender is a choice of the subscription.
  // checkov:skip=CKV_AZURE_166: The pipeline scans and signs images before it pushes them, so that no image waits in quarantine.
  name: name
  location: location
  tags: tags
  sku: {
    name: private || zoneRedundant ? 'Premium' : 'Standard'
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkRuleBypassOptions: 'AzureServices'
    zoneRedundancy: zoneRedundant ? 'Enabled' : 'Disabled'
    policies: {
      azureADAuthenticationAsArmPolicy: {
        status: 'enabled'
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'to-workspace'
  scope: registry
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

output id string = registry.id
