package admin

import (
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
)

// bucket is a bar of a chart: an hour or a day.
type bucket struct {
	From, To time.Time
	Label    string // in the table
	Axis     string // with the day
}

// buckets returns the hours of the last day, or the days of the last 30, in the time zone of the site. The last one is not
// over yet.
func (s *Handlers) buckets(words i18n.Localizer, days int) (list []bucket) {
	zone := s.Pages.Location
	if zone == nil {
		zone = time.UTC
	}
	now := s.Pages.CurrentTime().In(zone)
	if days == 1 {
		this := now.Truncate(time.Hour) // as the events are counted
		for i := 23; i >= 0; i-- {
			from := this.Add(-time.Duration(i) * time.Hour)
			label := s.Pages.FormatClock(words, from)
			list = append(list, bucket{from, from.Add(time.Hour), label, s.Pages.FormatDay(words, from) + " " + label})
		}
		return list
	}
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone)
	for i := days - 1; i >= 0; i-- {
		from := midnight.AddDate(0, 0, -i)
		label := s.Pages.FormatDay(words, from)
		list = append(list, bucket{from, from.AddDate(0, 0, 1), label, label})
	}
	return list
}

// The size of a chart, in units of its viewBox. It is stretched to the width of the page.
const (
	chartHeight = 100
	barWidth    = 10
	barSpace    = 3
)

// chart is a bar chart with stacked series, and the table with its numbers.
type chart struct {
	ID, Title   string // Title is a text key
	Series      []series
	Rows        []chartRow
	Most        int64 // the highest bar
	Width       int
	First, Last string // labels of the ends of the axis
}

// series is one color of a chart.
type series struct {
	ID, Name string
	Path     string // of all bars (SVG)
	Sum      int64
}

// chartRow is a line of the table.
type chartRow struct {
	Label  string
	Values []int64
}

// newChart sums up counts by bucket and series.
func newChart(buckets []bucket, counts []audit.Count, names []string, seriesOf func(audit.Count) string) chart {
	c := chart{Width: len(buckets)*(barWidth+barSpace) - barSpace}
	index := map[string]int{}
	for i, name := range names {
		index[name] = i
		c.Series = append(c.Series, series{ID: name})
	}
	for _, b := range buckets {
		c.Rows = append(c.Rows, chartRow{Label: b.Label, Values: make([]int64, len(names))})
	}
	for _, one := range counts {
		i, ok := index[seriesOf(one)]
		if !ok {
			continue
		}
		for n, b := range buckets {
			if !one.Hour.Before(b.From) && one.Hour.Before(b.To) {
				c.Rows[n].Values[i] += one.Events
				c.Series[i].Sum += one.Events
			}
		}
	}
	for _, row := range c.Rows {
		c.Most = max(c.Most, sum(row.Values))
	}
	if len(buckets) > 0 {
		c.First, c.Last = buckets[0].Axis, buckets[len(buckets)-1].Axis
	}
	for i := range c.Series {
		c.Series[i].Path = c.bars(i)
	}
	return c
}

// bars returns the path of the bars of a series, each above those of the series before.
func (c chart) bars(series int) string {
	if c.Most == 0 {
		return ""
	}
	var path strings.Builder
	for n, row := range c.Rows {
		bottom := chartHeight - chartHeight*sum(row.Values[:series])/c.Most
		top := chartHeight - chartHeight*sum(row.Values[:series+1])/c.Most
		if row.Values[series] > 0 && top == bottom && top > 0 {
			top-- // a small number is seen too
		}
		if top < bottom {
			fmt.Fprintf(&path, "M%d %dh%dV%dh-%dz", n*(barWidth+barSpace), bottom, barWidth, top, barWidth)
		}
	}
	return path.String()
}

func sum(values []int64) (all int64) {
	for _, v := range values {
		all += v
	}
	return all
}
