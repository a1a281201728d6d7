metadata description = 'The private link scope of Azure Monitor (AMPLS), a new or an existing one, with the resources that receive telemetry.'

param name string
param tags object

@description('Create the scope. Otherwise it exists in the resource group of this module.')
param create bool

@description('Objects with name and id: the workspace and Application Insights.')
param linked array

// Open: others that this network reaches by public addresses stay reachable. What is linked refuses public networks itself.
resource scope 'Microsoft.Insights/privateLinkScopes@2021-09-01' = if (create) {
  name: name
  location: 'global'
  tags: tags
  properties: {
    accessModeSettings: {
      ingestionAccessMode: 'Open'
      queryAccessMode: 'Open'
    }
  }
}

resource links 'Microsoft.Insights/privateLinkScopes/scopedResources@2021-09-01' = [for each in linked: {
  name: '${name}/${each.name}'
  properties: {
    linkedResourceId: each.id
  }
  dependsOn: [scope]
}]

output id string = scope.id
