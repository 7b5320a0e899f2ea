/** Loading of prebuilt native parts: absent on platforms their makers did not build for, which is no error here. @module */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** The module of that name, or undefined where it, or its prebuilt binary for this platform, is missing. */
export const loadNative = <Module>(name: string): Module | undefined => {
  try {
    return require(name) as Module
  } catch {
    return undefined
  }
}
