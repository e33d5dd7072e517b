"""A real CKAN stack from Python wheels and Maven jars alone: PostgreSQL, Valkey, Solr, CKAN portals, Celery.

``bin/quickstart`` and ``bin/test`` run it; tests and benchmarks drive it with ``ckanext.relay.devstack.stack.Stack``.
"""
