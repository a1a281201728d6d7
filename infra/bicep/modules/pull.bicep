metadata description = 'Who pulls and who pushes images, in the resource group of the registry.'

param registryName string
param principalId string

@description('Of the pipeline; empty: none.')
param deployerPrincipalId string

var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d' // AcrPull
var acrPush = '8311e382-0749-4cb8-b61a-304f252e45ec' // AcrPush

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource onRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, acrPull)
  scope: registry
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
  }
}

resource push 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerPrincipalId)) {
  name: guid(registry.id, deployerPrincipalId, acrPush)
  scope: registry
  properties: {
    principalId: deployerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPush)
  }
}
