using '../main.bicep'

// Small, and with public addresses: nothing here holds secrets of production.
param environmentName = 'dev'
param name = 'contoso-scheduler-dev'
param platform = 'functions'
param image = 'contosoregistry.azurecr.io/scheduler@sha256:0000000000000000000000000000000000000000000000000000000000000000'
param registryName = 'contosoregistry'
param registryResourceGroup = 'rg-scheduler-shared'
param planSku = 'EP1'
param maxInstances = 2
param dailyCapGb = 1
param settings = {
  SCHEDULER_HTTP__AUTHENTICATION: 'own' // API keys and Entra roles: docs/first-deployment.md
  SCHEDULER_HTTP__ENTRA__TENANT: '00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__AUDIENCE: 'api://00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000000'
  SCHEDULER_HTTP__ENTRA__ROLES: '{"Scheduler.Viewer": "viewer", "Scheduler.Operator": "operator", "Scheduler.Admin": "admin"}'
}
param tags = {
  owner: 'platform-team'
}
