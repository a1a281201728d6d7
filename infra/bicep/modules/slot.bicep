metadata description = 'The slot in which the pipeline tests a new image: as the site, with settings of its own.'

param siteName string
param location string
param tags object
param image string
param planId string
param isPremium bool
param fewestInstances int
param maxInstances int
param publicApi bool
param subnetId string
param identityId string
param clientId string

@description('All settings of the slot.')
param settings object

var inNetwork = !empty(subnetId)

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: siteName
}

resource slot 'Microsoft.Web/sites/slots@2024-04-01' = {
  // checkov:skip=CKV_AZURE_222: The parameter publicApi decides; every route but health needs a key or a token.
  // checkov:skip=CKV_AZURE_212: One instance runs all jobs; a second one starts when the first is lost. zoneRedundant has three.
  parent: app
  name: 'staging'
  location: location
  tags: tags
  kind: 'functionapp,linux,container'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: planId
    reserved: true
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: publicApi ? 'Enabled' : 'Disabled'
    virtualNetworkSubnetId: inNetwork ? subnetId : null
    vnetRouteAllEnabled: inNetwork
    vnetImagePullEnabled: inNetwork
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: clientId
      alwaysOn: !isPremium
      functionAppScaleLimit: isPremium ? maxInstances : 0
      minimumElasticInstanceCount: isPremium ? fewestInstances : 0
      functionsRuntimeScaleMonitoringEnabled: isPremium && inNetwork
      healthCheckPath: '/api/health/live'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
      vnetRouteAllEnabled: inNetwork
      appSettings: [for setting in items(settings): {
        name: setting.key
        value: setting.value
      }]
    }
  }
}

// As for the site: no deployments with a user name and a password.
resource credentials 'Microsoft.Web/sites/slots/basicPublishingCredentialsPolicies@2024-04-01' = [for kind in ['ftp', 'scm']: {
  parent: slot
  name: kind
  properties: {
    allow: false
  }
}]
