/** An oVirt engine and imageio that answer like the real ones, for tests and demos. @module */
export {}
