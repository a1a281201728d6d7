metadata description = 'The environment of Container Apps, for the app or for the jobs alone.'

param name string
param location string
param tags object
param zoneRedundant bool
param publicApi bool

@description('The subnet of the environment; empty: no virtual network.')
param subnetId string

@description('Where diagnostics go; empty: nowhere.')
param workspaceId string

var inNetwork = !empty(subnetId)

resource apps 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'cae-${name}'
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    vnetConfiguration: inNetwork ? {
      infrastructureSubnetId: subnetId
      internal: !publicApi
    } : null
    publicNetworkAccess: publicApi ? 'Enabled' : 'Disabled'
    zoneRedundant: zoneRedundant && inNetwork
  }
}

// The platform's log. Not ContainerAppConsoleLogs: the program's own telemetry would be paid twice.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'to-workspace'
  scope: apps
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'ContainerAppSystemLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output id string = apps.id
output domain string = apps.properties.defaultDomain
output address string = apps.properties.staticIp
