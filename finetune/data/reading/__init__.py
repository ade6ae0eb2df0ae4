"""Any source to rows with their place: files, folders, hub ids."""
