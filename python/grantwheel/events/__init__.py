"""Who has the events of a manager: subscriptions, their delivery to callbacks, and the list of subscribers. Private."""
