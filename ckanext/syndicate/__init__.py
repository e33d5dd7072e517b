"""Plugin `syndicate`: keeps copies of chosen datasets on other CKAN portals."""
