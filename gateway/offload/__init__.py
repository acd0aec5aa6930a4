"""What is too heavy for a worker's event loop: classifiers, names in texts, webhooks. One process does it
for all workers (`server`); they ask it over a unix socket, with a deadline (`client`).
"""
