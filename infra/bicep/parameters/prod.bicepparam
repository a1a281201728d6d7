using '../main.bicep'

// In a virtual network, spread over zones.
param environmentName = 'prod'
param name = 'contoso-scheduler-prod'
param platform = 'functions'
param image = 'contosoregistry.azurecr.io/scheduler@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param registryName = 'contosoregistry'
param registryResourceGroup = 'rg-scheduler-shared'
param planSku = 'EP2'
param maxInstances = 4
param privateNetworking = true
param zoneRedundant = true
param vnetAddressPrefix = '10.20.4.0/22'
param appSubnetPrefix = '10.20.4.0/24'
param endpointSubnetPrefix = '10.20.5.0/26'
param jobsSubnetPrefix = '10.20.6.0/27'
param maintenanceJobs = true
param logRetentionDays = 90
param dailyCapGb = 10
param settings = {
  SCHEDULER_HTTP__AUTHENTICATION: 'own' // API keys and Entra roles: docs/first-deployment.md
  SCHEDULER_HTTP__ENTRA__TENANT: '00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__AUDIENCE: 'api://00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__ROLES: '{"Scheduler.Viewer": "viewer", "Scheduler.Operator": "operator", "Scheduler.Admin": "admin"}'
  SCHEDULER_TARGETS__NETWORKS: '10.20.0.0/16'
}
param alertEmails = ['scheduler-oncall@example.com']
param tags = {
  owner: 'platform-team'
  criticality: 'high'
}
