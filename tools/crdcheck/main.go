// Command crdcheck puts CustomResourceDefinitions and objects to the very code of the Kubernetes API server.
//
// Standard input: {"crds": ["<yaml>", ...], "objects": [<object>, ...]}. Standard output: {"crds": [{"name", "problems"}],
// "objects": [{"problems", "pruned"}]}. A CRD is validated as on creation, with the estimated cost of its CEL rules; an
// object is pruned, defaulted, and checked by schema, list keys and CEL, in the API server's order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

type input struct {
	CRDs    []string         `json:"crds"`
	Objects []map[string]any `json:"objects"`
}

type crdVerdict struct {
	Name     string   `json:"name"`
	Problems []string `json:"problems"`
}

type objectVerdict struct {
	Problems []string `json:"problems"`
	Pruned   []string `json:"pruned"`
	// The object as it would be stored.
	Stored map[string]any `json:"stored"`
}

type output struct {
	CRDs    []crdVerdict    `json:"crds"`
	Objects []objectVerdict `json:"objects"`
}

// checker holds what the API server builds from one CRD.
type checker struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "crdcheck:", err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	// The API server's own reading of JSON, which keeps whole numbers whole: CEL would refuse to compare others.
	if err := utiljson.Unmarshal(text, &in); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	out := output{CRDs: []crdVerdict{}, Objects: []objectVerdict{}}
	checkers := map[string]*checker{}
	for _, text := range in.CRDs {
		crd, err := decode(scheme, text)
		if err != nil {
			return err
		}
		problems := crdvalidation.ValidateCustomResourceDefinition(context.Background(), crd)
		out.CRDs = append(out.CRDs, crdVerdict{crd.Name, texts(problems)})
		if len(problems) > 0 {
			continue
		}
		made, err := newChecker(crd)
		if err != nil {
			return fmt.Errorf("%s: %w", crd.Name, err)
		}
		checkers[crd.Spec.Names.Kind] = made
	}
	for _, object := range in.Objects {
		kind, _ := object["kind"].(string)
		made, known := checkers[kind]
		if !known {
			return fmt.Errorf("no valid CRD of kind %q", kind)
		}
		out.Objects = append(out.Objects, made.check(object))
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func decode(scheme *runtime.Scheme, text string) (*apiextensions.CustomResourceDefinition, error) {
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict([]byte(text), &external); err != nil {
		return nil, err
	}
	scheme.Default(&external)
	// The API server fills this in on creation.
	external.Status.StoredVersions = []string{external.Spec.Versions[0].Name}
	var crd apiextensions.CustomResourceDefinition
	return &crd, scheme.Convert(&external, &crd, nil)
}

func newChecker(crd *apiextensions.CustomResourceDefinition) (*checker, error) {
	served, err := apiextensions.GetSchemaForVersion(crd, crd.Spec.Versions[0].Name)
	if err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(served.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	schemaValidator, _, err := validation.NewSchemaValidator(served.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	return &checker{structural, schemaValidator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

func (c *checker) check(object map[string]any) objectVerdict {
	pruned := pruning.PruneWithOptions(object, c.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.Default(object, c.structural)
	problems := validation.ValidateCustomResource(nil, object, c.schema)
	problems = append(problems, listtype.ValidateListSetsAndMaps(nil, c.structural, object)...)
	// As the API server does: rules are not asked about an object whose types may be wrong.
	if len(problems) == 0 && c.rules != nil {
		found, _ := c.rules.Validate(context.Background(), nil, c.structural, object, nil, celconfig.RuntimeCELCostBudget)
		problems = append(problems, found...)
	}
	if pruned == nil {
		pruned = []string{}
	}
	return objectVerdict{texts(problems), pruned, object}
}

func texts(errors field.ErrorList) []string {
	out := make([]string, 0, len(errors))
	for _, each := range errors {
		out = append(out, each.Error())
	}
	return out
}
