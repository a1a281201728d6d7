metadata description = 'The virtual network with its subnets, or those that exist already.'

param name string
param location string
param tags object

@description('Create a virtual network. Otherwise the ids below are those of existing subnets, or empty: no network at all.')
param create bool

param appSubnetId string
param endpointSubnetId string
param jobsSubnetId string

param addressPrefix string
param appSubnetPrefix string
param endpointSubnetPrefix string

@description('The range of the environment of the jobs, where the app runs on App Service; empty: none.')
param jobsSubnetPrefix string

@description('Whether the app runs on App Service; otherwise in an environment of Container Apps.')
param appService bool

param zoneRedundant bool

@description('The DNS servers of the network; empty: those of Azure.')
param dnsServers array

@description('The id of the network to peer with; empty: none. The other direction belongs to the owner of that network.')
param hubNetworkId string

@description('Use the gateway of the hub, such as one to a company\'s own network.')
param useHubGateway bool

@description('Leave the network by one fixed public address.')
param natGateway bool

@description('The id of the route table of app and jobs; empty: the routes of Azure.')
param routeTableId string

var createNat = create && natGateway

resource appRules 'Microsoft.Network/networkSecurityGroups@2024-10-01' = if (create) {
  name: 'nsg-${name}-app'
  location: location
  tags: tags
  properties: {
    securityRules: []
  }
}

resource endpointRules 'Microsoft.Network/networkSecurityGroups@2024-10-01' = if (create) {
  name: 'nsg-${name}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'allow-app'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: endpointSubnetPrefix
          destinationPortRange: '443'
        }
      }
      {
        name: 'deny-others'
        properties: {
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource outbound 'Microsoft.Network/publicIPAddresses@2024-10-01' = if (createNat) {
  name: 'pip-${name}-outbound'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  zones: zoneRedundant ? ['1', '2', '3'] : null
  properties: {
    publicIPAllocationMethod: 'Static'
  }
}

resource nat 'Microsoft.Network/natGateways@2024-10-01' = if (createNat) {
  name: 'ng-${name}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIpAddresses: [
      {
        id: outbound.id
      }
    ]
  }
}

// Subnets from which the program sends: the app, and the jobs where they need an environment of their own.
var senders = concat([
  {
    name: 'app'
    prefix: appSubnetPrefix
    service: appService ? 'Microsoft.Web/serverFarms' : 'Microsoft.App/environments'
  }
], empty(jobsSubnetPrefix) ? [] : [
  {
    name: 'jobs'
    prefix: jobsSubnetPrefix
    service: 'Microsoft.App/environments'
  }
])
var sendingSubnets = [for sender in senders: {
  name: sender.name
  properties: {
    addressPrefix: sender.prefix
    networkSecurityGroup: {
      id: appRules.id
    }
    natGateway: createNat ? {
      id: nat.id
    } : null
    routeTable: empty(routeTableId) ? null : {
      id: routeTableId
    }
    delegations: [
      {
        name: 'app'
        properties: {
          serviceName: sender.service
        }
      }
    ]
  }
}]

resource vnet 'Microsoft.Network/virtualNetworks@2024-10-01' = if (create) {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    dhcpOptions: {
      dnsServers: dnsServers
    }
    subnets: concat(sendingSubnets, [
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointSubnetPrefix
          networkSecurityGroup: {
            id: endpointRules.id
          }
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ])
  }
}

resource peering 'Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2024-10-01' = if (create && !empty(hubNetworkId)) {
  parent: vnet
  name: 'hub'
  properties: {
    allowVirtualNetworkAccess: true
    allowForwardedTraffic: true
    allowGatewayTransit: false
    useRemoteGateways: useHubGateway
    remoteVirtualNetwork: {
      id: hubNetworkId
    }
  }
}

output vnetId string = create ? vnet.id : split(appSubnetId, '/subnets/')[0] // where names are looked up
output appSubnetId string = create ? '${vnet.id}/subnets/app' : appSubnetId
output endpointSubnetId string = create ? '${vnet.id}/subnets/endpoints' : endpointSubnetId
output jobsSubnetId string = create && !empty(jobsSubnetPrefix) ? '${vnet.id}/subnets/jobs' : jobsSubnetId
output outboundAddress string = createNat ? outbound.properties.ipAddress : ''
