"""Pages: what was found as one HTML file each, which needs no network, no script and no server; pure computation."""
