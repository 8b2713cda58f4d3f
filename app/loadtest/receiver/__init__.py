"""A customer's webhook receiver: answers by a script, keeps everything it got."""
