# Web tests of the shop
terraform {
  required_providers {
    azurerm = { source = "hashicorp/azurerm", version = ">= 4.0" }
  }
}

variable "environment" {
  type    = string
  default = "prod"
}

variable "domain" {
  type = string
}

locals {
  base  = "https://${var.environment}.${var.domain}"
  pages = { home = "/", cart = "/cart" }
  tags  = { team = "shop", environment = var.environment }
}

resource "azurerm_application_insights" "main" {
  name             = "appi-shop"
  application_type = "web"
}

resource "azurerm_application_insights_standard_web_test" "health" {
  count                   = var.environment == "prod" ? 1 : 0
  name                    = "health-${var.environment}"
  resource_group_name     = azurerm_resource_group.main.name
  location                = "West Europe"
  application_insights_id = azurerm_application_insights.main.id
  geo_locations           = ["emea-nl-ams-azr", "us-va-ash-azr"]
  frequency               = 600
  timeout                 = 60
  retry_enabled           = true
  description             = <<-EOT
    Is the shop healthy?
  EOT

  request {
    url                              = "${local.base}/api/health"
    http_verb                        = "POST"
    body                             = jsonencode({ probe = true })
    follow_redirects_enabled         = false
    parse_dependent_requests_enabled = false

    header {
      name  = "X-Probe"
      value = "yes"
    }

    dynamic "header" {
      for_each = { X-Team = local.tags.team }
      content {
        name  = header.key
        value = header.value
      }
    }
  }

  validation_rules {
    expected_status_code        = 200
    ssl_cert_remaining_lifetime = 14
    ssl_check_enabled           = true

    content {
      content_match      = "healthy"
      ignore_case        = true
      pass_if_text_found = true
    }
  }

  tags = merge(local.tags, { tier = "gold" })

  lifecycle {
    ignore_changes = [tags]
  }
}

resource "azurerm_application_insights_standard_web_test" "page" {
  for_each                = local.pages
  name                    = "page-${each.key}"
  resource_group_name     = "shop"
  location                = "West Europe"
  application_insights_id = azurerm_application_insights.main.id
  geo_locations           = []

  request {
    url = "${local.base}${each.value}"
  }
}

resource "azurerm_application_insights_web_test" "classic" {
  name                    = "classic"
  location                = "West Europe"
  resource_group_name     = "shop"
  application_insights_id = azurerm_application_insights.main.id
  kind                    = "ping"
  frequency               = 300
  timeout                 = 60
  enabled                 = false
  geo_locations           = ["us-tx-sn1-azr"]

  configuration = <<XML
<WebTest Name="classic" Id="ABD48585-0831-40CB-9069-682EA6BB3583" Enabled="True" Timeout="0" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Items>
    <Request Method="GET" Version="1.1" Url="${local.base}/classic" ThinkTime="0" Timeout="60" ParseDependentRequests="False" FollowRedirects="True" ExpectedHttpStatusCode="200" IgnoreHttpStatusCode="False" />
  </Items>
</WebTest>
XML
}

resource "azurerm_monitor_metric_alert" "health" {
  name                = "health"
  resource_group_name = "shop"
  scopes              = [azurerm_application_insights_standard_web_test.health[0].id, azurerm_application_insights.main.id]
  severity            = 1

  application_insights_web_test_location_availability_criteria {
    web_test_id           = azurerm_application_insights_standard_web_test.health[0].id
    component_id          = azurerm_application_insights.main.id
    failed_location_count = 2
  }

  action {
    action_group_id = azurerm_monitor_action_group.main.id
  }
}

output "test" {
  value = azurerm_application_insights_standard_web_test.health[*].id
}
