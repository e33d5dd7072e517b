"""Plugin `archiver`: checks the links of resources, keeps copies of the files and says which links are broken."""
