"""A call as it is asked for, routed and booked: the words that the other rooms of the gateway share."""
