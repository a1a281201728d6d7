// Everything that a deployment of the scheduler on Azure needs, in one resource group: docs/infrastructure.md.

targetScope = 'resourceGroup'

metadata description = 'The scheduler on Azure Functions (a Premium or Dedicated plan) or on Container Apps, with or without the Functions host, with storage, vault, monitoring and network.'

@description('Which settings of the program are used: config/environments.')
@allowed(['dev', 'test', 'prod'])
param environmentName string

@description('The name of the app, unique on Azure, and the beginning of other names. At most 24 letters: the slot adds 8, and the Functions host distinguishes the first 32.')
@minLength(3)
@maxLength(24)
param name string

@description('The region of all resources.')
param location string = resourceGroup().location

@description('Where the app runs. embedded: on Container Apps without the Functions host, at least two replicas that replace each other.')
@allowed(['functions', 'container-apps', 'embedded'])
param platform string = 'functions'

@description('Deploy the app, and not only what it uses. The keys of a container app must be in the vault before it: docs/infrastructure.md.')
param deployApp bool = true

@description('The image of the app with its digest, such as contosoregistry.azurecr.io/scheduler@sha256:...')
param image string

@description('The registry of the image.')
param registryName string

@description('The resource group of the registry; several environments can share one.')
param registryResourceGroup string = resourceGroup().name

@description('Create the registry in this resource group.')
param deployRegistry bool = false

@description('The SKU of the plan, for platform functions: EP1 to EP3 (Elastic Premium) or P0v3, P1v3 and so on (Dedicated).')
param planSku string = 'EP1'

@description('A slot in which the pipeline tests a new image, for platform functions.')
param stagingSlot bool = true

@description('The most instances: twice the number that docs/deploying.md#instances gives, and at least 2.')
@minValue(1)
@maxValue(100)
param maxInstances int = 2

@description('The CPU cores of a replica or a job on Container Apps, with twice as many Gi of memory.')
param cpu string = '0.5'

@description('The memory of a replica or a job on Container Apps.')
param memory string = '1Gi'

@description('Put storage, vault, registry and app into a virtual network, with private endpoints.')
param privateNetworking bool = false

@description('The id of an existing subnet of the app; empty: a virtual network is created. Delegated to Microsoft.Web/serverFarms for platform functions, otherwise to Microsoft.App/environments.')
param appSubnetId string = ''

@description('The id of an existing subnet for private endpoints, together with appSubnetId.')
param endpointSubnetId string = ''

@description('The id of an existing subnet for jobs with platform functions, delegated to Microsoft.App/environments.')
param jobsSubnetId string = ''

@description('The ids of existing private DNS zones by their names. default: the id of a resource group that has all other zones. An id of none: a policy of the company registers the endpoint. containerApps: none, if no zone may be created for the domain of the environment.')
param privateDnsZoneIds object = {}

@description('The address range of the virtual network.')
param vnetAddressPrefix string = '10.20.0.0/22'

@description('The address range of the app in it: at least /27.')
param appSubnetPrefix string = '10.20.0.0/24'

@description('The address range of the private endpoints.')
param endpointSubnetPrefix string = '10.20.1.0/26'

@description('The address range of the jobs with platform functions: at least /27.')
param jobsSubnetPrefix string = '10.20.2.0/27'

@description('The DNS servers of the created network; empty: those of Azure.')
param dnsServers array = []

@description('The id of a network with which the created one is peered, such as the hub of a company.')
param hubNetworkId string = ''

@description('Use the gateway of the hub.')
param useHubGateway bool = false

@description('Leave the created network by one fixed public address, the output outboundAddress.')
param natGateway bool = false

@description('The id of a route table for app and jobs in the created network.')
param routeTableId string = ''

@description('Whether the API has a public address. Without one, callers need access to the virtual network.')
param publicApi bool = true

@description('Spread the plan, the environment and storage over zones. Not every region and SKU can.')
param zoneRedundant bool = false

@description('Further settings of the app, by variable: docs/settings.md#settings.')
param settings object = {}

@description('Days for which logs and telemetry are retained.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('The most GB of logs and telemetry a day. Beyond it, none is accepted until the next day.')
@minValue(1)
param dailyCapGb int = 5

@description('The id of another workspace for diagnostics; empty: the one of this deployment. none: a policy of the company writes them.')
param diagnosticsWorkspaceId string = ''

@description('Send telemetry by a private link. create: a scope of Azure Monitor (AMPLS) with its endpoint and zones. The id of an existing scope: its owner has endpoint and zones, and the deployer may write into it. Empty: by public addresses.')
param monitorPrivateLink string = ''

@description('Refuse the deletion of storage and vault. The deployment then needs the right to write locks.')
param lockData bool = false

@description('Create a job that runs any command of the program in the network, and one that makes backups.')
param maintenanceJobs bool = false

@description('When backups are made: a cron expression in UTC.')
param backupSchedule string = '15 2 * * *'

@description('Where backups go, such as https://ACCOUNT.blob.core.windows.net/CONTAINER in an account that outlives this one; empty: the container backups of this account.')
param backupTarget string = ''

@description('Report each backup to the heartbeat of infra/jobs/backup.yaml in the app, whose token must be in the vault before: the secret backup-token.')
param backupHeartbeat bool = false

@description('Days for which a backup cannot be changed or deleted. Then it is deleted.')
@minValue(1)
@maxValue(3650)
param backupRetentionDays int = 30

@description('The retention of backups is locked: Azure refuses to write it again, so the deployment leaves it as it is.')
param backupsLocked bool = false

@description('Who is notified by e-mail when nothing arrives from the scheduler. Empty: nobody.')
param alertEmails array = []

@description('Subscribe the app to the events of the vault. Set it once the app runs: Event Grid checks the endpoint.')
param subscribeToVault bool = false

@description('The object id of the identity with which the pipeline releases images. It may push images and change the app. Empty: none.')
param deployerPrincipalId string = ''

@description('Tags of all resources.')
param tags object = {}

var allTags = union(tags, { environment: environmentName, application: 'scheduler' })
var uniquePart = uniqueString(resourceGroup().id, name)
var storageName = 'st${uniquePart}'
var vaultName = 'kv-${uniquePart}'
var onFunctions = platform == 'functions'
var hostsFunctions = platform != 'embedded'
var existingNetwork = !empty(appSubnetId)
var jobsInOwnSubnet = maintenanceJobs && onFunctions
var lacksSubnet = existingNetwork && (empty(endpointSubnetId) || (jobsInOwnSubnet && empty(jobsSubnetId)))
var wantsOwnNetwork = natGateway || !empty(hubNetworkId) || !empty(routeTableId) || !empty(dnsServers)
var hasSubnets = lacksSubnet ? fail('appSubnetId needs endpointSubnetId, and for jobs with platform functions jobsSubnetId') : privateNetworking || existingNetwork
var isReachable = publicApi || hasSubnets ? hasSubnets : fail('publicApi=false needs privateNetworking or appSubnetId')
var isLinked = !empty(monitorPrivateLink)
var isLinkable = isLinked && !isReachable ? fail('monitorPrivateLink needs privateNetworking or appSubnetId') : isReachable
var inNetwork = existingNetwork && wantsOwnNetwork ? fail('natGateway, hubNetworkId, routeTableId and dnsServers are for a network that is created') : isLinkable
var registryServer = '${registryName}${environment().suffixes.acrLoginServer}'
var deployFunctions = deployApp && onFunctions
var deployContainerApp = deployApp && !onFunctions

module identity 'modules/identity.bicep' = {
  name: '${name}-identity'
  params: {
    name: name
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: '${name}-monitoring'
  params: {
    name: name
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyCapGb: dailyCapGb
    alertEmails: alertEmails
    diagnosticsWorkspaceId: diagnosticsWorkspaceId
    privateIngestion: isLinked
  }
}

var createsScope = monitorPrivateLink == 'create'
var scopeParts = split(createsScope || !isLinked ? resourceGroup().id : monitorPrivateLink, '/') // /subscriptions/ID/resourceGroups/NAME/...

module monitorLink 'modules/monitor-link.bicep' = if (isLinked) {
  name: '${name}-monitor-link'
  scope: resourceGroup(scopeParts[2], scopeParts[4])
  params: {
    name: createsScope ? 'ampls-${name}' : scopeParts[8]
    tags: allTags
    create: createsScope
    linked: [
      {
        name: 'log-${name}'
        id: monitoring.outputs.workspaceId
      }
      {
        name: 'appi-${name}'
        id: monitoring.outputs.insightsId
      }
    ]
  }
}

module network 'modules/network.bicep' = {
  name: '${name}-network'
  params: {
    name: name
    location: location
    tags: allTags
    create: inNetwork && !existingNetwork
    appSubnetId: appSubnetId
    endpointSubnetId: endpointSubnetId
    jobsSubnetId: jobsSubnetId
    addressPrefix: vnetAddressPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    jobsSubnetPrefix: jobsInOwnSubnet ? jobsSubnetPrefix : ''
    appService: onFunctions
    zoneRedundant: zoneRedundant
    dnsServers: dnsServers
    hubNetworkId: hubNetworkId
    useHubGateway: useHubGateway
    natGateway: natGateway
    routeTableId: routeTableId
  }
}

module storage 'modules/storage.bicep' = {
  name: '${name}-storage'
  params: {
    name: storageName
    location: location
    tags: allTags
    private: inNetwork
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.diagnosticsWorkspaceId
    locked: lockData
    prefixes: hostsFunctions ? ['scheduler', 'staging'] : []
    logDays: logRetentionDays
    backupDays: maintenanceJobs && empty(backupTarget) ? backupRetentionDays : 0
    backupsLocked: backupsLocked
  }
}

module vault 'modules/vault.bicep' = {
  name: '${name}-vault'
  params: {
    name: vaultName
    location: location
    tags: allTags
    private: inNetwork
    workspaceId: monitoring.outputs.diagnosticsWorkspaceId
    locked: lockData
  }
}

module registry 'modules/registry.bicep' = if (deployRegistry) {
  name: '${name}-registry'
  params: {
    name: registryName
    location: location
    tags: allTags
    private: inNetwork
    zoneRedundant: zoneRedundant
    workspaceId: monitoring.outputs.diagnosticsWorkspaceId
  }
}

module roles 'modules/roles.bicep' = {
  name: '${name}-roles'
  params: {
    principalId: identity.outputs.principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
    hostsFunctions: hostsFunctions
  }
}

module pull 'modules/pull.bicep' = {
  name: '${name}-pull'
  scope: resourceGroup(registryResourceGroup)
  params: {
    registryName: registryName
    principalId: identity.outputs.principalId
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [registry]
}

module endpoints 'modules/endpoints.bicep' = if (inNetwork) {
  name: '${name}-endpoints'
  params: {
    name: name
    location: location
    tags: allTags
    vnetId: network.outputs.vnetId
    subnetId: network.outputs.endpointSubnetId
    privateDnsZoneIds: privateDnsZoneIds
    endpoints: concat([
      {
        name: 'blob'
        target: storage.outputs.id
        group: 'blob'
        zones: ['privatelink.blob.${environment().suffixes.storage}']
      }
      {
        name: 'table'
        target: storage.outputs.id
        group: 'table'
        zones: ['privatelink.table.${environment().suffixes.storage}']
      }
      {
        name: 'vault'
        target: vault.outputs.id
        group: 'vault'
        zones: ['privatelink.vaultcore.azure.net']
      }
    ], hostsFunctions ? [
      {
        name: 'queue'
        target: storage.outputs.id
        group: 'queue'
        zones: ['privatelink.queue.${environment().suffixes.storage}']
      }
    ] : [], deployRegistry ? [
      {
        name: 'registry'
        target: registry.outputs.id
        group: 'registry'
        zones: ['privatelink.azurecr.io']
      }
    ] : [], createsScope ? [
      {
        name: 'monitor'
        target: monitorLink.outputs.id
        group: 'azuremonitor'
        zones: [
          'privatelink.monitor.azure.com'
          'privatelink.oms.opinsights.azure.com'
          'privatelink.ods.opinsights.azure.com'
          'privatelink.agentsvc.azure-automation.net'
        ] // without that of blob: for agents of Log Analytics, of which there is none
      }
    ] : [])
  }
}

var vaultUrl = 'https://${vaultName}${environment().suffixes.keyvaultDns}'

// The program finds storage, vault and telemetry by these, whichever host it has; so do its jobs.
var variables = union({
  AzureWebJobsStorage__accountName: storage.outputs.name
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.outputs.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identity.outputs.clientId}'
  OTEL_SERVICE_NAME: name
  SCHEDULER_ENVIRONMENT: environmentName
  SCHEDULER_STORE: 'azure'
  SCHEDULER_STORAGE__PREFIX: 'scheduler'
  SCHEDULER_KEY_VAULT_URL: vaultUrl
}, settings)

module functions 'modules/functions.bicep' = if (deployFunctions) {
  name: '${name}-functions'
  params: {
    name: name
    location: location
    tags: allTags
    image: image
    planSku: planSku
    stagingSlot: stagingSlot
    maxInstances: maxInstances
    zoneRedundant: zoneRedundant
    publicApi: publicApi
    subnetId: network.outputs.appSubnetId
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    workspaceId: monitoring.outputs.diagnosticsWorkspaceId
    variables: variables
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [roles, pull, endpoints]
}

var siteZone = 'privatelink.azurewebsites.net' // has the names of the deployment site (scm) as well

module siteEndpoint 'modules/endpoints.bicep' = if (deployFunctions && !publicApi) {
  name: '${name}-site-endpoint'
  params: {
    name: '${name}-site'
    location: location
    tags: allTags
    vnetId: network.outputs.vnetId
    subnetId: network.outputs.endpointSubnetId
    privateDnsZoneIds: privateDnsZoneIds
    endpoints: concat([
      {
        name: 'sites'
        target: deployFunctions ? functions.outputs.id : ''
        group: 'sites'
        zones: [siteZone]
      }
    ], stagingSlot ? [
      {
        name: 'slot'
        target: deployFunctions ? functions.outputs.id : '' // of the app: the group names the slot
        group: 'sites-staging'
        zones: [siteZone]
      }
    ] : [])
  }
}

module appsEnvironment 'modules/apps-environment.bicep' = if (deployContainerApp || maintenanceJobs) {
  name: '${name}-apps-environment'
  params: {
    name: name
    location: location
    tags: allTags
    zoneRedundant: zoneRedundant
    publicApi: publicApi && !onFunctions
    subnetId: onFunctions ? network.outputs.jobsSubnetId : network.outputs.appSubnetId
    workspaceId: monitoring.outputs.diagnosticsWorkspaceId
  }
}

module appsDns 'modules/apps-dns.bicep' = if (deployContainerApp && !publicApi && privateDnsZoneIds.?containerApps != 'none') {
  name: '${name}-apps-dns'
  params: {
    name: name
    tags: allTags
    domain: deployContainerApp ? appsEnvironment.outputs.domain : ''
    address: deployContainerApp ? appsEnvironment.outputs.address : ''
    vnetId: network.outputs.vnetId
  }
}

module containerApp 'modules/container-app.bicep' = if (deployContainerApp) {
  name: '${name}-container-app'
  params: {
    name: name
    location: location
    tags: allTags
    image: image
    registryServer: registryServer
    maxInstances: maxInstances
    zoneRedundant: zoneRedundant
    cpu: cpu
    memory: memory
    hostsFunctions: hostsFunctions
    environmentId: deployContainerApp ? appsEnvironment.outputs.id : ''
    domain: deployContainerApp ? appsEnvironment.outputs.domain : ''
    identityId: identity.outputs.id
    vaultUrl: vaultUrl
    jobsContainer: 'https://${storageName}.blob.${environment().suffixes.storage}/jobs'
    variables: variables
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [roles, pull, endpoints]
}

var appAddress = deployFunctions ? functions.outputs.address : deployContainerApp ? containerApp.outputs.address : ''

module jobs 'modules/jobs.bicep' = if (maintenanceJobs) {
  name: '${name}-jobs'
  params: {
    name: name
    location: location
    tags: allTags
    environmentId: maintenanceJobs ? appsEnvironment.outputs.id : ''
    image: image
    registryServer: registryServer
    identityId: identity.outputs.id
    cpu: cpu
    memory: memory
    variables: variables
    backupSchedule: backupSchedule
    pingUrl: backupHeartbeat && deployApp ? '${appAddress}/api/ping' : ''
    vaultUrl: vaultUrl
    backupTarget: empty(backupTarget) ? 'azure://backups/${environmentName}' : backupTarget
    deployerPrincipalId: deployerPrincipalId
  }
  dependsOn: [roles, pull, endpoints]
}

resource keys 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

module functionEvents 'modules/events-function.bicep' = if (subscribeToVault && deployFunctions) {
  name: '${name}-function-events'
  params: {
    name: name
    location: location
    tags: allTags
    vaultId: vault.outputs.id
    functionId: deployFunctions ? '${functions.outputs.id}/functions/secrets_changed' : ''
  }
}

module webhookEvents 'modules/events-webhook.bicep' = if (subscribeToVault && deployContainerApp && hostsFunctions) {
  name: '${name}-webhook-events'
  params: {
    name: name
    location: location
    tags: allTags
    vaultId: vault.outputs.id
    address: deployContainerApp ? containerApp.outputs.address : ''
    systemKey: keys.getSecret('host-systemkey-eventgrid-extension')
  }
}

module alerts 'modules/alerts.bicep' = if (deployApp) {
  name: '${name}-alerts'
  params: {
    name: name
    location: location
    tags: allTags
    insightsId: monitoring.outputs.insightsId
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

output app string = name
output address string = appAddress
output storage string = storage.outputs.name
output vault string = vault.outputs.name
output clientId string = identity.outputs.clientId
output principalId string = identity.outputs.principalId
output outboundAddress string = network.outputs.outboundAddress
output environmentDomain string = deployContainerApp ? appsEnvironment.outputs.domain : ''
output environmentAddress string = deployContainerApp ? appsEnvironment.outputs.address : ''
