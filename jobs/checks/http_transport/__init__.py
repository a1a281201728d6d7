"""How an HTTP request is sent and its response received: HTTP/1.1, HTTP/2, proxies and pooled connections."""
