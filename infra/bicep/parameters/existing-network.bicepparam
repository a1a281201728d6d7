using '../main.bicep'

// On Azure Functions in a company's network: its subnets, its DNS zones, no public address. docs/networks.md
param environmentName = 'prod'
param name = 'contoso-scheduler-spoke'
param platform = 'functions'
param image = 'contosoregistry.azurecr.io/scheduler@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param registryName = 'contosoregistry'
param registryResourceGroup = 'rg-scheduler-shared'
param planSku = 'EP1'
param appSubnetId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/scheduler-app'
param endpointSubnetId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/endpoints'
param jobsSubnetId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/scheduler-jobs'
param privateDnsZoneIds = {
  default: '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-dns'
  'privatelink.vaultcore.azure.net': 'none' // a policy registers the endpoints of vaults
}
param publicApi = false
param maintenanceJobs = true
param lockData = true
param diagnosticsWorkspaceId = 'none'
param settings = {
  SCHEDULER_HTTP__AUTHENTICATION: 'own'
  SCHEDULER_TARGETS__NETWORKS: '10.0.0.0/8'
}
param alertEmails = ['scheduler-oncall@example.com']
param tags = {
  owner: 'platform-team'
  criticality: 'high'
}
