/** Which files are on which snapshot's disks: recorded in the repository, searched in SQLite. @module */
export {}
