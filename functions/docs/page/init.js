// A file of its own, because the Content-Security-Policy does not allow inline scripts.
"use strict";

// The token stays in sessionStorage: it survives a reload and ends with the tab. localStorage, which Swagger UI would
// use by itself, keeps it on a shared computer until somebody logs out.
const TOKEN = "lhcms.token";

// All words of the text must occur in what an operation shows: method, path, name, summary, permission or group.
function filterOperations(groups, text) {
  const words = text.toLowerCase().split(/\s+/);
  const matches = (operation, group) => {
    const names = ["operationId", "summary", "x-permission"].map((name) => operation.getIn(["operation", name]));
    const shown = [group, operation.get("method"), operation.get("path"), ...names].join(" ").toLowerCase();
    return words.every((word) => shown.includes(word));
  };
  return groups
    .map((details, group) => details.update("operations", (list) => list.filter((one) => matches(one, group))))
    .filter((details) => details.get("operations").size > 0);
}

function lhcms(system) {
  const element = system.React.createElement;
  return {
    fn: { opsFilter: filterOperations },
    components: {
      // The box of Swagger UI filters the groups only, and says so.
      FilterContainer: ({ layoutActions }) =>
        element(
          "label",
          { className: "operation-filter wrapper" },
          "Filter the operations",
          element("input", {
            type: "search",
            placeholder: "For example: history, POST, audit",
            onChange: (event) => layoutActions.updateFilter(event.target.value.trim() || true),
          }),
        ),
    },
    wrapComponents: {
      // The guide is long. Closed, it leaves room for the operations.
      InfoContainer: (Original) => (props) =>
        element(
          "details",
          { className: "guide" },
          element("summary", null, "Guide: authentication, labs, roles, errors, limits, pages, concurrency"),
          element(Original, props),
        ),
      OperationSummaryPath: (Original) => (props) => {
        const { path, method } = props.operationProps.toObject();
        const permission = system.specSelectors.specJson().getIn(["paths", path, method, "x-permission"]);
        const title = permission === "public" ? "This operation needs no token" : "The permission that you need";
        return element(
          system.React.Fragment,
          null,
          element(Original, props),
          element("span", { className: "permission", title }, permission),
        );
      },
    },
    statePlugins: {
      auth: {
        wrapActions: {
          authorize: (original) => (payload) => {
            sessionStorage.setItem(TOKEN, payload.bearerAuth.value);
            return original(payload);
          },
          logout: (original) => (names) => {
            sessionStorage.removeItem(TOKEN);
            return original(names);
          },
        },
      },
    },
  };
}

const ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/api/v1/swagger.json",
  plugins: [lhcms],
  filter: true,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  // The contract is not sent to a validator on the internet.
  validatorUrl: null,
  onComplete: () => {
    const token = sessionStorage.getItem(TOKEN);
    if (token) {
      ui.preauthorizeApiKey("bearerAuth", token);
    }
  },
});
