package region

// country returns the country of a cloud's region, "" where the region is not known. See
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html,
// https://cloud.google.com/compute/docs/regions-zones and https://learn.microsoft.com/azure/reliability/regions-list.
func country(region string) string {
	if c := american(region); c != "" {
		return c
	}
	if c := european(region); c != "" {
		return c
	}
	return eastern(region)
}

func american(region string) string {
	switch region {
	case "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1",
		"us-central1", "us-east1", "us-east4", "us-east5", "us-south1", "us-west1", "us-west2", "us-west3", "us-west4",
		"eastus", "eastus2", "centralus", "northcentralus", "southcentralus", "westcentralus", "westus", "westus2", "westus3", "usgovvirginia", "usgovarizona", "usgovtexas":
		return "us"
	case "ca-central-1", "ca-west-1", "northamerica-northeast1", "northamerica-northeast2", "canadacentral", "canadaeast":
		return "ca"
	case "mx-central-1", "northamerica-south1", "mexicocentral":
		return "mx"
	case "sa-east-1", "southamerica-east1", "brazilsouth", "brazilsoutheast":
		return "br"
	case "southamerica-west1", "chilecentral":
		return "cl"
	}
	return ""
}

func european(region string) string {
	switch region {
	case "eu-central-1", "eusc-de-east-1", "europe-west3", "europe-west10", "germanywestcentral", "germanynorth":
		return "de"
	case "eu-west-1", "northeurope":
		return "ie"
	case "eu-west-2", "europe-west2", "uksouth", "ukwest":
		return "gb"
	case "eu-west-3", "europe-west9", "francecentral", "francesouth":
		return "fr"
	case "eu-central-2", "europe-west6", "switzerlandnorth", "switzerlandwest":
		return "ch"
	case "eu-north-1", "europe-north2", "swedencentral", "swedensouth":
		return "se"
	case "eu-south-1", "europe-west8", "europe-west12", "italynorth":
		return "it"
	case "eu-south-2", "europe-southwest1", "spaincentral":
		return "es"
	case "europe-west1", "belgiumcentral":
		return "be"
	case "europe-west4", "westeurope":
		return "nl"
	case "europe-central2", "polandcentral":
		return "pl"
	case "europe-north1":
		return "fi"
	case "austriaeast":
		return "at"
	case "norwayeast", "norwaywest":
		return "no"
	}
	return ""
}

func eastern(region string) string {
	switch region {
	case "ap-northeast-1", "ap-northeast-3", "asia-northeast1", "asia-northeast2", "japaneast", "japanwest":
		return "jp"
	case "ap-northeast-2", "asia-northeast3", "koreacentral", "koreasouth":
		return "kr"
	case "ap-southeast-1", "asia-southeast1", "southeastasia":
		return "sg"
	case "ap-southeast-2", "ap-southeast-4", "australia-southeast1", "australia-southeast2", "australiaeast", "australiasoutheast", "australiacentral", "australiacentral2":
		return "au"
	case "ap-southeast-3", "asia-southeast2", "indonesiacentral":
		return "id"
	case "ap-southeast-5", "malaysiawest":
		return "my"
	case "ap-southeast-6", "newzealandnorth":
		return "nz"
	case "ap-southeast-7":
		return "th"
	case "ap-south-1", "ap-south-2", "asia-south1", "asia-south2", "centralindia", "southindia", "westindia", "jioindiawest", "jioindiacentral":
		return "in"
	case "ap-east-1", "asia-east2", "eastasia":
		return "hk"
	case "ap-east-2", "asia-east1":
		return "tw"
	case "cn-north-1", "cn-northwest-1", "chinanorth", "chinanorth2", "chinanorth3", "chinaeast", "chinaeast2", "chinaeast3":
		return "cn"
	case "me-south-1":
		return "bh"
	case "me-central-1", "uaenorth", "uaecentral":
		return "ae"
	case "me-central1", "qatarcentral":
		return "qa"
	case "me-central2":
		return "sa"
	case "il-central-1", "me-west1", "israelcentral":
		return "il"
	case "af-south-1", "africa-south1", "southafricanorth", "southafricawest":
		return "za"
	}
	return ""
}
