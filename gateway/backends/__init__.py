"""The upstream side: HTTP client, pools, probes, and the servers we ship."""
