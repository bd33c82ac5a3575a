// The emulated plugin is all that the archive beside it has.
