// What a client of the contract must not be able to write. Each line below a `@ts-expect-error` has one mistake; if the
// compiler finds no error there, it reports the comment as unused, and the check fails.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

const api = createClient<paths>({ baseUrl: "https://api.example.com" });

// @ts-expect-error a misspelt value of an enumeration
export const misspeltValue: Schemas["CaseCreate"] = { priority: "hihg" };

// @ts-expect-error a misspelt field
export const misspeltField: Schemas["CaseCreate"] = { procedure_type: "Crown", patient_nmae: "John Smith" };

// @ts-expect-error a wrong type
export const wrongType: Schemas["CaseCreate"] = { procedure_type: "Crown", rush_order: "yes" };

// @ts-expect-error a status that a new case cannot have
export const wrongStatus: Schemas["CaseCreate"] = { procedure_type: "Crown", status: "shipped" };

// @ts-expect-error a denture without its material
export const missingField: Schemas["CaseCreate"] = { denture: { type: "complete_upper" } };

// @ts-expect-error a misspelt field of nested details
export const misspeltNested: Schemas["CaseUpdate"] = { denture: { type: "immediate", material: "titanium", tooth_materail: "acrylic" } };

// @ts-expect-error a misspelt field of a patch
export const misspeltPatch: Schemas["CasePatch"] = { denture: { materail: "titanium" } };

// @ts-expect-error a misspelt value in a patch
export const misspeltPatchValue: Schemas["CasePatch"] = { night_guard: { arch: "middle" } };

// @ts-expect-error a status cannot be cleared
export const clearedStatus: Schemas["CasePatch"] = { status: null };

// @ts-expect-error a step in the workflow without its status
export const missingStatus: Schemas["StatusUpdate"] = { reason: "Waiting for a new impression" };

// @ts-expect-error an operation that does not exist
export const wrongPath = api.GET("/api/v1/case");

// @ts-expect-error a misspelt query parameter
export const misspeltQuery = api.GET("/api/v1/cases", { params: { query: { stauts: ["pending"] } } });

// @ts-expect-error an id that is not a number
export const wrongId = api.GET("/api/v1/cases/{id}", { params: { path: { id: "one" } } });

export function narrowed(one: Schemas["Case"]) {
  if (one.case_type === "night_guard") {
    // @ts-expect-error a night guard has no denture: the value is null
    return one.denture.material;
  }
  // @ts-expect-error not every other case has details of a denture
  return one.denture.material;
}
