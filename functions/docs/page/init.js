// A file of its own, because the Content-Security-Policy allows no inline script.
SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/api/v1/swagger.json",
  deepLinking: true,
  displayRequestDuration: true,
  // A token is gone when the tab is.
  persistAuthorization: false,
  // The contract is not sent to a validator on the internet.
  validatorUrl: null,
});
