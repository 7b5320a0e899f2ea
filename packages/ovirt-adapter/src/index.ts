/** Backup and restore of virtual machines on oVirt-family platforms. @module */
export {}
