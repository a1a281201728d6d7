using '../main.bicep'

// As production, with one instance less and a lower cap.
param environmentName = 'test'
param name = 'contoso-scheduler-test'
param platform = 'functions'
param image = 'contosoregistry.azurecr.io/scheduler@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param registryName = 'contosoregistry'
param registryResourceGroup = 'rg-scheduler-shared'
param planSku = 'EP1'
param maxInstances = 2
param privateNetworking = true
param vnetAddressPrefix = '10.20.8.0/22'
param appSubnetPrefix = '10.20.8.0/24'
param endpointSubnetPrefix = '10.20.9.0/26'
param dailyCapGb = 2
param settings = {
  SCHEDULER_HTTP__AUTHENTICATION: 'own' // API keys and Entra roles: docs/first-deployment.md
  SCHEDULER_HTTP__ENTRA__TENANT: '00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__AUDIENCE: 'api://00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__ROLES: '{"Scheduler.Viewer": "viewer", "Scheduler.Operator": "operator", "Scheduler.Admin": "admin"}'
  SCHEDULER_TARGETS__NETWORKS: '10.20.0.0/16'
}
param alertEmails = ['scheduler-test@example.com']
param tags = {
  owner: 'platform-team'
}
