/** Shows the service's contract with Swagger UI. */

const { SwaggerUIBundle } = /** @type {any} */ (globalThis); // flasgger's own, loaded before this module
const place = /** @type {HTMLElement} */ (document.getElementById("swagger-ui"));

SwaggerUIBundle({ url: place.dataset.contract, domNode: place, deepLinking: true, docExpansion: "list", validatorUrl: null });
