metadata description = 'Private endpoints, each with the DNS zone by which the app finds it.'

param name string
param location string
param tags object
param vnetId string
param subnetId string

@description('Objects with name, target (the id of a resource), group and zones, of which the first one decides whether a policy registers the endpoint.')
param endpoints array

@description('The ids of existing zones by their names: see main.bicep.')
param privateDnsZoneIds object

var others = privateDnsZoneIds.?default ?? ''
var zonesOfEndpoints = [for endpoint in endpoints: endpoint.zones]
var zoneNames = flatten(zonesOfEndpoints)
var ownZones = union(zoneNames, zoneNames) // each once: the app and its slot share one

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [for zone in ownZones: if (empty(privateDnsZoneIds[?zone] ?? others)) {
  name: zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for zone in ownZones: if (empty(privateDnsZoneIds[?zone] ?? others)) {
  name: '${zone}/${name}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: vnetId
    }
  }
  dependsOn: [zones]
}]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-10-01' = [for endpoint in endpoints: {
  name: 'pe-${name}-${endpoint.name}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: endpoint.name
        properties: {
          privateLinkServiceId: endpoint.target
          groupIds: [endpoint.group]
        }
      }
    ]
  }
}]

// With `none`, a policy of the company writes the group: a second one is refused.
resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-10-01' = [for endpoint in endpoints: if ((privateDnsZoneIds[?endpoint.zones[0]] ?? others) != 'none') {
  name: 'pe-${name}-${endpoint.name}/default'
  properties: {
    privateDnsZoneConfigs: [for zone in endpoint.zones: {
      name: replace(zone, '.', '-')
      properties: {
        privateDnsZoneId: privateDnsZoneIds[?zone] ?? (empty(others) ? resourceId('Microsoft.Network/privateDnsZones', zone) : '${others}/providers/Microsoft.Network/privateDnsZones/${zone}')
      }
    }]
  }
  dependsOn: [privateEndpoints, links]
}]
