"""FTS3 plugins of JUNO."""
