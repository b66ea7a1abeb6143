package plan

// Explanation is one stage as explain shows it (-o json prints the list).
type Explanation struct {
	Stage         int      `json:"stage"`
	ID            StageID  `json:"id"`
	Name          string   `json:"name"`
	Kind          string   `json:"kind"` // scan, read, rows or sql: what its tasks read
	Tasks         int      `json:"tasks"`
	Reads         []string `json:"reads,omitempty"`
	Steps         []string `json:"steps,omitempty"`
	Query         string   `json:"query"`
	Exchange      string   `json:"exchange"`
	Partitions    int      `json:"partitions"`
	Gathered      string   `json:"gathered,omitempty"`
	Ordered       bool     `json:"ordered,omitempty"`
	Deterministic bool     `json:"deterministic"`
}

// Explain is the job as text for people, stage by stage.
func (j *Job) Explain() string { return "" }

// Explanations is the job as data, stage by stage.
func (j *Job) Explanations() []Explanation { return nil }
