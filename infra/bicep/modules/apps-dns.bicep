metadata description = 'The DNS zone of an environment of Container Apps that has only a private address.'

param name string
param tags object

@description('The domain of the environment.')
param domain string

@description('The private address of the environment.')
param address string

param vnetId string

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: domain
  location: 'global'
  tags: tags
}

resource records 'Microsoft.Network/privateDnsZones/A@2024-06-01' = [for record in ['*', '@']: {
  parent: zone
  name: record
  properties: {
    ttl: 3600
    aRecords: [
      {
        ipv4Address: address
      }
    ]
  }
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: vnetId
    }
  }
}
