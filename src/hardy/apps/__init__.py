"""Programs made with hardy, on its public names only."""
