/** Loading of prebuilt native parts: absent on platforms their makers did not build for, which is no error here. @module */

/** What `load` requires, or undefined where the module, or its prebuilt binary for this platform, is missing. */
export const loadNative = <Module>(load: () => unknown): Module | undefined => {
  try {
    return load() as Module
  } catch {
    return undefined
  }
}
