"""Names of namespaces: who knows them, which one is meant, who is at the other end of a wire."""
