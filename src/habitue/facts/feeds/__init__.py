"""What do foreign formats say, in Habitué's words? JSON bodies, GA4 events, tables of any shop."""
