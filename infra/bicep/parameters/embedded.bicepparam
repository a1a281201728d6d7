using '../main.bicep'

// The embedded host on Container Apps, as infra/environments/embedded.json: three replicas over zones. No Functions host, no function keys.
param environmentName = 'prod'
param name = 'contoso-scheduler-emb'
param platform = 'embedded'
param image = 'contosoregistry.azurecr.io/scheduler-embedded@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param registryName = 'contosoregistry'
param registryResourceGroup = 'rg-scheduler-shared'
param maxInstances = 3
param privateNetworking = true
param zoneRedundant = true
param vnetAddressPrefix = '10.20.16.0/22'
param appSubnetPrefix = '10.20.16.0/24'
param endpointSubnetPrefix = '10.20.17.0/26'
param natGateway = true
param maintenanceJobs = true
param lockData = true
param logRetentionDays = 90
param settings = {
  SCHEDULER_HTTP__AUTHENTICATION: 'own' // the default here
  SCHEDULER_TARGETS__NETWORKS: '10.20.0.0/16'
  SCHEDULER_HTTP__ENTRA__TENANT: '00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__AUDIENCE: 'api://00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__ROLES: '{"Scheduler.Viewer": "viewer", "Scheduler.Operator": "operator", "Scheduler.Admin": "admin"}'
}
param alertEmails = ['scheduler-oncall@example.com']
param tags = {
  owner: 'platform-team'
  criticality: 'high'
}
