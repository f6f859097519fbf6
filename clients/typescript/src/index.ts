/** A typed client of LHCMS. README.md beside this package has examples. */

export { createLhcms, type Lhcms, type LhcmsOptions } from "./client.js";
export { LhcmsError, ok, type FieldError } from "./error.js";
export { type UploadOptions, type UploadProgress } from "./upload.js";
export { type FeedEvent, type WatchOptions } from "./watch.js";
export type { components, operations, paths } from "./schema.js";
