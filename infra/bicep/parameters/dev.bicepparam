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
  SCHEDULER_HTTP__AUTHENTICATION: 'function_keys' // dev.yaml and test.yaml have open, which is for loopback
}
param tags = {
  owner: 'platform-team'
}
