variable "token" { default = null }

resource "datadog_synthetics_test" "health" {
  name      = "Shop health"
  type      = "api"
  subtype   = "http"
  status    = "live"
  message   = "Notify @pagerduty"
  locations = ["aws:eu-central-1"]
  tags      = ["env:prod", "terraform"]

  request_definition {
    method    = "POST"
    url       = "https://shop.example/api/health"
    body      = jsonencode({ probe = true })
    body_type = "application/json"
    timeout   = 20
  }

  request_headers = {
    "X-Probe"     = "yes"
    Authorization = "Bearer t0ken-of-terraform"
  }

  request_query = { verbose = "1" }

  request_basicauth {
    username = "probe"
    password = "b4sic-passw0rd"
  }

  assertion {
    type     = "statusCode"
    operator = "is"
    target   = "200"
  }

  assertion {
    type     = "responseTime"
    operator = "lessThan"
    target   = "2000"
  }

  assertion {
    type     = "body"
    operator = "validatesJSONPath"
    targetjsonpath {
      jsonpath    = "$.status"
      operator    = "is"
      targetvalue = "ok"
    }
  }

  options_list {
    tick_every           = 300
    min_failure_duration = 120
    min_location_failed  = 1
    follow_redirects     = true

    retry {
      count    = 2
      interval = 500
    }

    monitor_options {
      renotify_interval = 120
    }

    scheduling {
      timeframes {
        day  = 5
        from = "07:00"
        to   = "16:00"
      }
      timezone = "Europe/Paris"
    }
  }
}

resource "datadog_synthetics_test" "certificate" {
  name      = "Certificate"
  type      = "api"
  subtype   = "ssl"
  status    = "paused"
  message   = ""
  locations = []

  request_definition {
    host = "shop.example"
    port = "443"
  }

  assertion {
    type     = "certificate"
    operator = "isInMoreThan"
    target   = 30
  }

  options_list {
    tick_every         = 900
    accept_self_signed = false
  }
}

resource "datadog_synthetics_test" "order" {
  name      = "Order"
  type      = "api"
  subtype   = "multi"
  status    = "live"
  locations = ["aws:eu-central-1"]

  api_step {
    name    = "sign in"
    subtype = "http"

    assertion {
      type     = "statusCode"
      operator = "is"
      target   = "200"
    }

    request_definition {
      method = "POST"
      url    = "https://shop.example/sign-in"
      body   = "user=probe&password={{ PASSWORD }}"
      body_type = "application/x-www-form-urlencoded"
    }

    extracted_value {
      name  = "SESSION"
      type  = "http_header"
      field = "x-session"
      parser {
        type = "raw"
      }
    }
  }

  api_step {
    name          = "order"
    subtype       = "http"
    allow_failure = true

    request_definition {
      method = "GET"
      url    = "https://shop.example/orders/1"
    }

    request_headers = { X-Session = "{{ SESSION }}" }

    assertion {
      type     = "statusCode"
      operator = "is"
      target   = "200"
    }
  }

  config_variable {
    name    = "PASSWORD"
    type    = "text"
    pattern = "v4riable-passw0rd"
    secure  = true
  }

  options_list {
    tick_every = 900
  }
}

resource "datadog_synthetics_test" "browser" {
  name       = "Browser"
  type       = "browser"
  status     = "live"
  device_ids = ["laptop_large"]
  locations  = ["aws:eu-central-1"]

  request_definition {
    method = "GET"
    url    = "https://shop.example/"
  }

  browser_step {
    name = "click"
    type = "click"
    params { element = "{}" }
  }
}
