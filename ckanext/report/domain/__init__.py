"""What reports decide: options, rows, dates. Pure functions, without CKAN."""
