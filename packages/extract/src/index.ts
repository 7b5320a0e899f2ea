/** Files of a guest to a folder, a tar stream or an ISO image. @module */
export {}
